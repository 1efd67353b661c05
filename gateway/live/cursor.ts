import { GatewayError } from '../errors.ts';

/** Where a row stands in a list that is ordered by when things were made. */
export interface Place {
  readonly createdAt: Date;
  /** Breaks ties. */
  readonly id: string;
}

/** Milliseconds since 1970, to the year 2286: later ones would not sort as the text that SQLite keeps. */
const PLACE = /^(\d{1,13}) ([a-z0-9-]{1,64})$/;

/** The place as text that means nothing to a client. */
export function writeCursor({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url');
}

/** @throws GatewayError 'bad-request' for a cursor that is none of ours */
export function readCursor(cursor: string): Place {
  const parts = /^[\w-]+$/.test(cursor) ? PLACE.exec(Buffer.from(cursor, 'base64url').toString('latin1')) : null;
  if (!parts) throw new GatewayError('bad-request', 'cursor: must be the next of a page');
  return { createdAt: new Date(Number(parts[1])), id: parts[2]! };
}
