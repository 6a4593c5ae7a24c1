// The product's source of random numbers.
export const { randomSource } = await import('../../dist/simulation/random.js');
