/** Takes the place of the global `performance` in the bundle: Node loads eight modules for that one. */
export const performance = {
  now() {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1e3 + nanoseconds / 1e6
  },
}
