/** The part of an OpenTelemetry meter that {@linkcode instrument} needs, typed structurally. */
export interface Meter {
  /** Makes a counter whose value is read at each collection. */
  createObservableCounter(name: string, options?: InstrumentForm): ObservableInstrument;
  /** Makes a gauge whose value is read at each collection. */
  createObservableGauge(name: string, options?: InstrumentForm): ObservableInstrument;
  /** Makes a histogram. */
  createHistogram(
    name: string,
    options?: InstrumentForm & { advice?: { explicitBucketBoundaries?: number[] } },
  ): { record(value: number): void };
}

/** The description of an instrument. */
export interface InstrumentForm {
  /** For people. */
  description?: string;
  /** In UCUM's notation, such as `By`. */
  unit?: string;
}

/** An instrument whose value is read at each collection. */
export interface ObservableInstrument {
  /** Calls `callback` at each collection. */
  addCallback(callback: (result: ObservableResult) => void): void;
  /** Removes a callback. */
  removeCallback(callback: (result: ObservableResult) => void): void;
}

/** Where a callback puts what it has read. */
export interface ObservableResult {
  /** Reports a value. */
  observe(value: number, attributes?: Record<string, string>): void;
}
