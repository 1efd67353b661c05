/** Bounds of one WebSocket server. */
export interface WebSocketLimits {
  /** Longest message. */
  readonly maxPayloadBytes: number;
  /** Connections at a time. */
  readonly maxConnections: number;
  /** Messages that a connection may send in a second, on average and at once. */
  readonly messagesPerSecond: number;
  /** What may wait to be sent; beyond it events are dropped, and a connection that does not recover is ended. */
  readonly maxBufferedBytes: number;
  readonly maxSubscriptions: number;
  /** Streams that one connection is a WebRTC peer of. */
  readonly maxPeers: number;
  /** A connection from which nothing came for so long, though pinged, is ended. */
  readonly silenceMs: number;
}

export const WEB_SOCKET_LIMITS: WebSocketLimits = Object.freeze({
  maxPayloadBytes: 65_536,
  maxConnections: 256,
  messagesPerSecond: 100,
  maxBufferedBytes: 1_048_576,
  maxSubscriptions: 32,
  maxPeers: 16,
  silenceMs: 30_000,
});
