// Run in the browser, as one expression: by how much the page is wider than the screen, and what text has too little contrast
// (WCAG 2.2, 1.4.3).
;(() => {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  const numbers = (color) => (color.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = (color) => {
    const [red = 0, green = 0, blue = 0] = numbers(color).map((value) => channel(value / 255))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const backOf = (element) => {
    if (!element) return 'rgb(255, 255, 255)'
    const { backgroundColor } = getComputedStyle(element)
    return numbers(backgroundColor)[3] === 0 ? backOf(element.parentElement) : backgroundColor
  }
  const pale = []
  for (const element of document.querySelectorAll('body *')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim())
    if (!hasText || element.closest('svg')) continue
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(backOf(element))].sort((a, b) => b - a)
    if ((one + 0.05) / (other + 0.05) < 4.5) pale.push(`${element.tagName} ${element.textContent?.slice(0, 40)}`)
  }
  return { over: document.documentElement.scrollWidth - document.documentElement.clientWidth, pale }
})()
