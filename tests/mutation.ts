/**
 * A fault, as a change of one place in the library. `find` must occur there exactly once: a mutation
 * that no longer applies is an error, and has to be written anew.
 */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}
