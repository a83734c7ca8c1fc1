/** The report. */
export function writeReport(folder: string): Promise<string> {
  return Promise.resolve(folder);
}
