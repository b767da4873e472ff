// Many people coming or going at once: how many, and the first of them by name.

export interface Crowd {
  count: number;
  names: readonly string[];
}

const named = 2;

export const nobody: Crowd = { count: 0, names: [] };

/** joined adds some names to a crowd; or another crowd. */
export function joined(crowd: Crowd, more: Crowd | readonly string[]): Crowd {
  const { count, names } = "count" in more ? more : { count: more.length, names: more };
  return { count: crowd.count + count, names: [...crowd.names, ...names].slice(0, named) };
}
