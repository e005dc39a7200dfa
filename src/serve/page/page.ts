// pure
import { type Answer, answersOf } from '../../check/answers.ts'
import type { Condition } from '../../check/condition-catalogue.ts'
import { age, instant, utc } from '../../check/instants.ts'
import type { DatabaseBackups, Overview, ShownEvent } from '../../check/overview.ts'
import { renderBytes, seconds } from '../../units.ts'
import { durations, sizes, strip, tally } from './charts.ts'
import { type Html, html } from './html.ts'
import { style } from './style.ts'

/** The page of `serve`, one document that needs nothing else. Pure. */
export function renderPage(overview: Overview): string {
  const { verdict, database, now, version, conditions, closed, declared, backups } = overview
  const title = `${verdict}: ${database}`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>${title}</title>
<style>${{ html: style }}</style>
</head>
<body>
<header class="${verdict.toLowerCase().replace(' ', '-')}">
<h1>${verdict}</h1>
<p>${database}, <time datetime="${now.toISOString()}">${utc(now.toISOString())}</time></p>
</header>
<main>
<dl>${answersOf(overview).map(answer)}</dl>
${section('Open conditions', conditions.length === 0 ? html`<p>None.</p>` : list(conditions.map(open(now))))}
${section('Ended lately', closed.length > 0 && list(closed.map(ended(now))))}
${section('What is declared', declared ? list(declared.lines.map((line) => html`${line}`)) : html`<p>Not looked at.</p>`)}
${backups.map(backupsOf(now))}
${section('Migrations', migrations(declared, now))}
${section('Events', declared && declared.events.length > 0 && events(declared.events, now))}
</main>
<footer><p class="dim">pgbosun ${version}. This page loads itself again every minute.</p></footer>
</body>
</html>
`.html
}

const section = (title: string, body: Html | false | undefined) =>
  body ? html`<section><h2>${title}</h2>${body}</section>` : html``

const list = (items: readonly Html[]) => html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`

const answer = ({ question, lines, type = [] }: Answer) =>
  html`<dt>${question}</dt>${lines.map((line) => html`<dd>${line}</dd>`)}${type.map((command) => html`<dd><pre>${command}</pre></dd>`)}`

const when = (text: string, now: Date) => html`<time datetime="${text}">${instant(text, now)}</time>`

const about = ({ name, severity, database, schedule }: Condition) =>
  html`<strong>${name}</strong>${[severity === 'warning' ? 'warning' : undefined, database, schedule]
    .filter((part) => part !== undefined)
    .map((part) => html`, ${part}`)}`

const open = (now: Date) => (condition: Condition) =>
  html`${about(condition)}: ${condition.message}. <span class="dim">Since ${when(condition.since, now)}.</span> What to do: ${condition.hint}.`

const ended = (now: Date) => (condition: Overview['closed'][number]) =>
  html`${about(condition)}: ${condition.message}. <span class="dim">From ${when(condition.since, now)} until ${when(condition.until, now)}.</span>`

const backupsOf = (now: Date) => (one: DatabaseBackups) =>
  section(
    `Backups of ${one.database}`,
    html`${one.unknown !== undefined && html`<p>Not known: ${one.unknown}</p>`}${one.series.map(series)}${table(
      ['backup', 'taken', 'size', 'took', 'state', 'kept'],
      one.listed.map(({ id, at, sizeBytes, durationMs, state, kept }) => [
        html`${id}`,
        when(at, now),
        html`${sizeBytes === undefined ? '?' : renderBytes(sizeBytes)}`,
        html`${durationMs === undefined ? '?' : seconds(durationMs)}`,
        html`${state}`,
        html`${kept === '' ? 'not known' : kept}`,
      ]),
    )}${one.more > 0 && html`<p class="dim">and ${one.more} older: <code>pgbosun backup list</code></p>`}`,
  )

function series({ schedule, slots }: DatabaseBackups['series'][number]): Html {
  if (slots.length === 0) return html``
  const bad = slots.filter(({ state }) => state === 'failed' || state === 'missed').slice(-3)
  return html`<h3>Slots${schedule === '' ? '' : ` of ${schedule}`}: ${tally(slots)}</h3>${strip(slots)}${sizes(slots)}${durations(slots)}${
    bad.length > 0 &&
    list(bad.map(({ slot, state, problem }) => html`${utc(slot)}: ${state}${problem === null ? '' : `, ${problem}`}`))
  }`
}

function migrations(declared: Overview['declared'], now: Date): Html | false {
  if (!declared || declared.migrations.length + declared.pending.length === 0) return false
  const shown = declared.migrations.slice(-20).reverse()
  const more = declared.migrations.length - shown.length
  return html`${declared.pending.length > 0 && html`<p>Pending: ${declared.pending.join(', ')}</p>`}${table(
    ['migration', 'applied', 'took'],
    shown.map(({ name, appliedAt, durationMs }) => [
      html`${name}`,
      appliedAt === null ? html`?` : when(appliedAt, now),
      html`${durationMs === null ? '?' : seconds(durationMs)}`,
    ]),
  )}${more > 0 && html`<p class="dim">and ${more} older: <code>pgbosun migrate status</code></p>`}`
}

const events = (all: readonly ShownEvent[], now: Date) =>
  table(
    ['event', 'who', 'command', 'result'],
    all
      .slice(-20)
      .reverse()
      .map(({ at, actor, command, phase, exitCode, changes }) => [
        html`<time datetime="${at}">${utc(at)} (${age(at, now)})</time>`,
        html`${actor}`,
        html`${command} ${phase}`,
        html`${phase === 'started' ? '' : `exit ${exitCode}, changes: ${changes ?? 0}`}`,
      ]),
  )

/** On a narrow screen each row becomes a list of its cells. */
function table(heads: readonly string[], rows: readonly (readonly Html[])[]): Html {
  if (rows.length === 0) return html``
  const body = rows.map(
    (cells) =>
      html`<tr role="row">${cells.map((cell, i) => html`<td role="cell" data-is="${heads[i]!}">${cell}</td>`)}</tr>`,
  )
  return html`<div class="table"><table role="table"><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${body}</tbody></table></div>`
}
