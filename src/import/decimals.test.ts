import { expect, test } from 'vitest'
import { addDecimal, noDecimals, renderDecimals } from './decimals.ts'

const of = (...texts: string[]) => JSON.parse(renderDecimals(texts.reduce(addDecimal, noDecimals())))

test('decimals are added exactly, whatever their digits', () => {
  expect(of('0.1', '0.2')).toEqual({ sum: '0.3', least: '0.1', most: '0.2' })
  expect(of('-1.5', '12', '0.25')).toEqual({ sum: '10.75', least: '-1.5', most: '12' })
  expect(of('9007199254740993', '0.00000001')).toMatchObject({ sum: '9007199254740993.00000001' })
  expect(of('-0.5', '-0.5')).toEqual({ sum: '-1', least: '-0.5', most: '-0.5' })
})

test('of nothing, nothing is known', () => {
  expect(of()).toEqual({})
})
