// Units are shown only where the field's name tells them.

const BY_NAME: Record<string, string> = {
  temperature: "°",
  temp: "°",
  humidity: "%",
};

const BY_SUFFIX: Record<string, string> = {
  c: "°C",
  celsius: "°C",
  f: "°F",
  fahrenheit: "°F",
  pct: "%",
  percent: "%",
  bar: "bar",
  mbar: "mbar",
  pa: "Pa",
  hpa: "hPa",
  kpa: "kPa",
  v: "V",
  mv: "mV",
  volt: "V",
  volts: "V",
  a: "A",
  ma: "mA",
  amps: "A",
  w: "W",
  kw: "kW",
  wh: "Wh",
  kwh: "kWh",
  hz: "Hz",
  rpm: "rpm",
  mm: "mm",
  cm: "cm",
  km: "km",
  ms: "ms",
  ppm: "ppm",
  lux: "lx",
  db: "dB",
  dbm: "dBm",
};

/** The unit that a field's name states ("pressure_bar", "temperature"), or "". */
export function unitOf(field: string): string {
  const name = field.slice(field.lastIndexOf(".") + 1).toLowerCase();
  const named = own(BY_NAME, name);
  if (named) return named;
  const cut = name.lastIndexOf("_");
  return (cut > 0 && own(BY_SUFFIX, name.slice(cut + 1))) || "";
}

function own(table: Record<string, string>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
