declare const redacted: unique symbol;

/**
 * A picture in which every face that must be covered is. Only the blur step makes one, and encoders accept nothing
 * else, so that sending a raw picture does not compile.
 */
export type Redacted<T> = T & { readonly [redacted]: true };
