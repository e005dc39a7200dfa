import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'

const textOf = ({ node }) =>
  node.type === 'StringLiteral' ? node.value : node.quasis.map(({ value }) => value.cooked).join('x')

/** Leaves sentences as they are: tests hold the code or the kind of a message, not its words. */
export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'sentences', {
    shouldIgnore: (path) =>
      (path.isStringLiteral() || path.isTemplateLiteral()) && /\p{L} \S+ \p{L}/u.test(textOf(path))
        ? 'a sentence for people'
        : undefined,
  }),
]
