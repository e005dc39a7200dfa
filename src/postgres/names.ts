// pure
/** Why a host could not be found by its name, for people. */
export type NameProblem = { text: string; hint: string }

/** The name servers say that there is no such name. @param source where the name is written */
const unknown = (host: string, source: string): NameProblem => ({
  text: `the host name ${host} is not known`,
  hint: `check the host in ${source}; in Kubernetes it is the name of the Service, and SERVICE.NAMESPACE for one of another namespace`,
})

/** A name server that answers nothing, or that it cannot answer now: nobody knows yet whether the name exists. */
export const noAnswerFor = (host: string): NameProblem => ({
  text: `the name server gave no answer for host ${host} (temporary failure)`,
  hint: 'check the name servers in /etc/resolv.conf of this machine; in Kubernetes those are the pods of CoreDNS, and a NetworkPolicy must allow port 53 to them',
})

/** The codes of the system (getaddrinfo), and one of Node's for a name server that takes too long. */
export const nameCodes = { unknown: ['ENOTFOUND'], noAnswer: ['EAI_AGAIN', 'EAI_FAIL', 'ETIMEOUT'] }

/** Undefined for an error about anything else. */
export function nameProblem(error: unknown, source: string): NameProblem | undefined {
  const { code = '', hostname = '' } = error as { code?: string; hostname?: string }
  if (nameCodes.unknown.includes(code)) return unknown(hostname, source)
  return nameCodes.noAnswer.includes(code) ? noAnswerFor(hostname) : undefined
}
