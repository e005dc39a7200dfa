// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how goose writes variables
import { describe, expect, test } from 'vitest'
import { EnvsubError, envsub } from './goose-envsub.ts'

const environment = {
  NAME: 'James',
  LEVEL: 'only one level of $NAME',
  EMPTY: '',
  SHA: '1adf998e39f647b4b25842f107c6ed9d30a3a7c7',
  ACCENT: 'é',
}

describe('variables', () => {
  test.each([
    ['', ''],
    ['plain', 'plain'],
    ['NAME', 'NAME'],
    ['$NAME', 'James'],
    ['${NAME}', 'James'],
    ['$NAME, ${NAME}', 'James, James'],
    ['$Name|${OTHER}|', '||'],
    ['my$NAME', 'myJames'],
    ['$NAME_X-$NAME', '-James'],
    ['$LEVEL', 'only one level of $NAME'],
    ['$constructor', ''],
    ['a $', 'a $'],
  ])('%s', (line, expected) => expect(envsub(line, environment)).toBe(expected))
})

describe('defaults', () => {
  test.each([
    ['${DAY-Tuesday}', 'Tuesday'],
    ['${NAME-Tuesday}', 'James'],
    ['${EMPTY-Tuesday}', ''],
    ['${EMPTY:-Tuesday}', 'Tuesday'],
    ['${EMPTY:--:{}}', '-:{}'],
    ['${DAY:-127}', '127'],
    ['${DAY:-${ROCK-test}}', 'test'],
    ['${DAY:-Some ${ROCK:-$NAME} text}', 'Some James text'],
    ['${NAME:-${ROCK?must be set}}', 'James'],
    ['${DAY:-\\}}', '\\}'],
  ])('%s', (line, expected) => expect(envsub(line, environment)).toBe(expected))
})

describe('parts', () => {
  test.each([
    ['${SHA:0}', '1adf998e39f647b4b25842f107c6ed9d30a3a7c7'],
    ['${SHA:7}', 'e39f647b4b25842f107c6ed9d30a3a7c7'],
    ['${SHA: -7}', '0a3a7c7'],
    ['${SHA: -128}', '1adf998e39f647b4b25842f107c6ed9d30a3a7c7'],
    ['${SHA:128}', ''],
    ['${SHA:0:7}', '1adf998'],
    ['${SHA:7:7}', 'e39f647'],
    ['${SHA:7:-7}', 'e39f647b4b25842f107c6ed9d3'],
    ['${SHA:7:0}', ''],
    ['${SHA:7:128}', 'e39f647b4b25842f107c6ed9d30a3a7c7'],
    ['${SHA:0:-128}', ''],
    ['${OTHER:7:14}', ''],
    ['${ACCENT:0:2}', 'é'],
  ])('%s', (line, expected) => expect(envsub(line, environment)).toBe(expected))
})

describe('escapes', () => {
  test.each([
    ['$$NAME', '$NAME'],
    ['\\$NAME', '$NAME'],
    ['$${NAME}', '${NAME}'],
    ['\\\\$NAME', '\\\\James'],
    ["E'\\n'", "E'\\n'"],
    ['$(NAME)', '$(NAME)'],
    ['as $$ body $$', 'as $ body $'],
  ])('%s', (line, expected) => expect(envsub(line, environment)).toBe(expected))
})

describe('is refused', () => {
  test.each([
    ['costs $1', '`$` is followed by "1", which is not the name of a variable'],
    ['$_NAME', '`$` is followed by "_", which is not the name of a variable'],
    ['a $ b', '`$` is followed by " ", which is not the name of a variable'],
    ['${NAME', '`${NAME` is followed by "", which is not an operator'],
    ['${NAME:-x', 'a `${` is not closed'],
    ['${NAME!}', '`${NAME` is followed by "!", which is not an operator'],
    ['${NAME:x}', '"x" is not a number'],
    ['${NAME:+x}', '"+x" is not a number'],
    ['${OTHER?}', '$OTHER: not set'],
    ['${OTHER?set it to $NAME}', '$OTHER: set it to '],
    ['${OTHER?{}}', '$OTHER: {'],
    ['${ACCENT:1}', 'the part of a variable cuts a character in two'],
  ])('%s', (line, message) => {
    expect(() => envsub(line, environment)).toThrow(new EnvsubError(message))
  })
})
