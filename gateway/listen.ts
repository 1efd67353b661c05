import { GatewayError } from './errors.ts';

export interface ListenedFor {
  readonly host: string;
  readonly port: number;
  /** The variable that sets the port. */
  readonly variable: 'PORT' | 'RTMP_PORT';
}

/** What to tell who starts a server that can't listen. */
export function cannotListen(error: NodeJS.ErrnoException, { host, port, variable }: ListenedFor): GatewayError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} on ${host} is in use; set ${variable} to another one`,
    EACCES: `port ${port} needs more rights; set ${variable} to 1024 or above`,
    EADDRNOTAVAIL: `HOST ${host} is no address of this machine`,
  };
  return new GatewayError('cannot-listen', reasons[error.code ?? ''] ?? `cannot listen: ${error.message}`);
}
