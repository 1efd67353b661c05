import { InferenceError } from '../../inference/errors.ts';
import { ModelError } from '../../models/errors.ts';
import { GatewayError } from '../errors.ts';

const RETRY_AFTER_SECONDS = 10;

/**
 * What a failure with a picture is to a client.
 * @param name the picture's, as the client called it
 */
export function toStillError(error: unknown, name: string): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof ModelError) return noModel(error);
  if (!(error instanceof InferenceError)) return new GatewayError('internal', 'the server failed', { cause: error });
  switch (error.code) {
    case 'input-empty':
    case 'input-truncated':
    case 'input-unreadable':
      return new GatewayError('bad-image', `${name}: ${error.message}`, { cause: error });
    case 'model-unusable':
      return noModel(error);
    case 'aborted':
      return clientGone();
    case 'closed': {
      const retryAfterSeconds = RETRY_AFTER_SECONDS;
      return new GatewayError('closed', 'the server is shutting down', { retryAfterSeconds, cause: error });
    }
    default:
      return new GatewayError('internal', `${name}: the server failed on it`, { cause: error });
  }
}

/** Nobody reads it: a request that ends because nobody waits for its answer. */
export function clientGone(): GatewayError {
  return new GatewayError('upload-incomplete', 'the client went away');
}

/** The reason names files of this machine: it is for the log. */
function noModel(cause: Error): GatewayError {
  return new GatewayError('not-ready', 'a model that this needs can not be used; the log of the server says why', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  });
}
