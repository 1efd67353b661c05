/** A larger file is refused before it is looked at. */
export const MAX_IMAGE_BYTES = 50_000_000;
/** A larger picture is refused before it is decoded; one of more than 8 bits a channel counts twice. */
export const MAX_IMAGE_PIXELS = 100_000_000;
