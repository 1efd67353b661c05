/** Stands for a secret in an address that is shown. */
export const REDACTED = '***';

/**
 * A source's address without what may be secret in it: user and password, the query, and in the path whatever follows
 * an equals sign (cameras are asked for `/user=…&password=…`).
 * @param url an absolute address that `URL` can read
 */
export function redactSource(url: string): string {
  const { username, password, search, pathname } = new URL(url);
  const path = pathname.replace(/=[^/]*/g, `=${REDACTED}`);
  return shown(url, username !== '' || password !== '', path, search !== '');
}

/** The same for a push target, whose stream key is by custom the last part of its path. */
export function redactTarget(url: string): string {
  const { username, password, search, pathname } = new URL(url);
  const path = pathname.replace(/[^/]+\/*$/, REDACTED);
  return shown(url, username !== '' || password !== '', path, search !== '');
}

function shown(url: string, hasUser: boolean, path: string, hasQuery: boolean): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${hasUser ? `${REDACTED}@` : ''}${host}${path}${hasQuery ? `?${REDACTED}` : ''}`;
}
