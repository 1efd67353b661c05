import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { defaultModelLocations, type ModelLocations } from '../models/locations.ts';
import { defaultWorkerBinaryLocation, type WorkerBinaryLocation } from '../sfu/worker-binary/locate.ts';
import {
  address,
  count,
  encryptionKey,
  flag,
  origins,
  path,
  port,
  postgresUrl,
  publicUrl,
  redisUrl,
  s3Endpoint,
  webhookUrl,
  wholeNumber,
} from './config-values.ts';
import { GatewayError } from './errors.ts';
import { isLoopback } from './loopback.ts';

const GIB = 1024 ** 3;
const NO_ORIGINS: readonly string[] = Object.freeze([]);

/** What every command uses. */
const engineVariables = {
  /** Least severe log entry that is written. */
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Folder with model files; unset: the cache, then the places that `models/` knows. */
  FACEBLUR_MODELS_DIR: path.optional(),
};

/** What `faceblur serve` uses besides. */
const serverVariables = {
  HOST: z
    .string()
    .default('127.0.0.1')
    .refine(isLoopback, 'must be a loopback address for now (127.0.0.1, ::1, localhost): there are no API keys yet'),
  /** 0 takes any free port. */
  PORT: port.default(8080),
  /** Where publishers reach us by RTMP. 0 takes any free port. */
  RTMP_PORT: port.default(1935),
  /** UDP and TCP port of WebRTC; worker i listens on RTC_PORT + i. 0 takes free ports. */
  RTC_PORT: port.default(40_000),
  /** mediasoup worker processes. */
  RTC_WORKERS: count(1, 64).default(1),
  /** Address that WebRTC peers are told instead of HOST. */
  RTC_ANNOUNCED_ADDRESS: address.optional(),
  /** The mediasoup worker's program; unset: the one that set-up put in the cache. */
  MEDIASOUP_WORKER_BIN: path.optional(),
  /** Origins of pages, other than our own, that may publish and watch. */
  CORS_ORIGINS: origins.optional(),
  /** What the addresses that we hand out begin with; unset: the Host of the request. */
  PUBLIC_URL: publicUrl.optional(),
  /** Whether streams may be pulled from loopback, private and link-local addresses. */
  ALLOW_PRIVATE_SOURCES: flag.default(false),
  /** Whether operators may watch what comes in, not blurred. */
  RAW_PREVIEW: flag.default(false),
  /** Seals faces and names that are kept; unset: a key that is made in DATA_DIR. */
  FACEBLUR_ENCRYPTION_KEY: encryptionKey.optional(),
  /** PostgreSQL; unset: SQLite in DATA_DIR. */
  DATABASE_URL: postgresUrl.optional(),
  /** Carries jobs and news between machines; unset: rows of the database alone do. */
  REDIS_URL: redisUrl.optional(),
  /** Jobs that this process works on at a time; 0 leaves them to `faceblur worker`. */
  JOB_CONCURRENCY: count(0, 64).default(1),
  /** Jobs of one owner that run at a time, over all processes. */
  JOBS_PER_OWNER: count(1, 1000).default(4),
  /** Told of each job that ends. */
  JOB_WEBHOOK_URL: webhookUrl.optional(),
  /** What is told is signed with it. */
  JOB_WEBHOOK_SECRET: z.string().min(16, 'must be 16 characters or more').optional(),
  /** Keeps objects instead of DATA_DIR; the other S3 variables are of no effect without it. */
  S3_BUCKET: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket: 3 to 63 of a-z, 0-9, dot and dash')
    .optional(),
  /** Of R2, MinIO or any other S3; unset: AWS's own of the region. */
  S3_ENDPOINT: s3Endpoint.optional(),
  /** `auto` for R2. */
  S3_REGION: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'must be a region such as eu-central-1')
    .default('us-east-1'),
  /** Unset, as the secret: from where AWS's SDK looks for them, such as a role of the machine. */
  S3_ACCESS_KEY_ID: z.string().max(256, 'must have at most 256 characters').optional(),
  S3_SECRET_ACCESS_KEY: z.string().max(256, 'must have at most 256 characters').optional(),
  /** The bucket in the path of its addresses and not in their host's name. */
  S3_FORCE_PATH_STYLE: flag.default(false),
  /** Length of an HLS segment, and so the time between keyframes of a stream that records or serves HLS. */
  HLS_TIME_SECONDS: count(1, 30).default(4),
  /** The ffmpeg that packages recordings; unset: the one of @ffmpeg-installer. */
  FFMPEG_PATH: path.optional(),
  /** Streams that may exist at a time, live or not. */
  MAX_STREAMS: count(1, 10_000).default(1000),
  /** What was found in a still picture is kept for this time, and sealed; 0 keeps nothing. */
  STILLS_CACHE_SECONDS: wholeNumber.pipe(z.number().max(2_592_000, 'must be at most 2592000')).default(3600),
  /** Largest video that /v1/videos takes, and longest. */
  MAX_VIDEO_BYTES: wholeNumber.pipe(z.number().positive('must be at least 1')).default(10 * GIB),
  MAX_VIDEO_SECONDS: count(1, 86_400).default(14_400),
  /** What was uploaded, and what was made of it, is erased after so many days; 0 keeps it. */
  RETENTION_DAYS: count(0, 36_500).default(7),
  /** Everything the process writes goes below this folder. */
  DATA_DIR: path.default(() => resolve('data')),
  /** Largest clip that the start page takes. */
  MAX_UPLOAD_BYTES: wholeNumber.pipe(z.number().positive('must be at least 1')).default(2 * GIB),
  /** Clips that may wait, or still be on their way in, while another is being blurred. */
  MAX_QUEUED_CLIPS: wholeNumber.pipe(z.number().positive('must be at least 1')).default(8),
  /** Finished clips kept at a time; the oldest goes first. */
  MAX_KEPT_CLIPS: wholeNumber.pipe(z.number().positive('must be at least 1')).default(16),
  /** A finished clip is erased after this time. */
  CLIP_LIFETIME_SECONDS: count(1, 86_400).default(3600),
};

const engineSchema = z.object(engineVariables);
const serverSchema = z
  .object({ ...engineVariables, ...serverVariables })
  .refine(({ RTC_PORT, RTC_WORKERS }) => RTC_PORT + RTC_WORKERS <= 65_536, {
    path: ['RTC_PORT'],
    error: 'must leave room below 65536 for one port a worker',
  })
  .refine(({ JOB_WEBHOOK_URL: url, JOB_WEBHOOK_SECRET: secret }) => (url === undefined) === (secret === undefined), {
    path: ['JOB_WEBHOOK_SECRET'],
    error: 'must be set with JOB_WEBHOOK_URL, or neither',
  })
  .refine(({ S3_ACCESS_KEY_ID: id, S3_SECRET_ACCESS_KEY: secret }) => (id === undefined) === (secret === undefined), {
    path: ['S3_SECRET_ACCESS_KEY'],
    error: 'must be set with S3_ACCESS_KEY_ID, or neither',
  });

export interface EngineConfig {
  readonly logLevel: z.infer<typeof engineSchema>['LOG_LEVEL'];
  /** All folders where model files are looked for, FACEBLUR_MODELS_DIR among them. */
  readonly modelLocations: Readonly<ModelLocations>;
}

/** Limits of the clips that the start page uploads. */
export interface ClipLimits {
  readonly maxUploadBytes: number;
  readonly maxQueued: number;
  readonly maxKept: number;
  readonly lifetimeMs: number;
}

/** The bucket that objects are kept in. */
export interface S3Config {
  readonly bucket: string;
  /** Null: AWS's own of the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** Secrets; null: from where AWS's SDK looks for them. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  readonly forcePathStyle: boolean;
}

/** How queued file work is done. */
export interface JobConfig {
  /** Jobs at a time in this process; 0: none. */
  readonly concurrency: number;
  /** Jobs of one owner at a time, over all processes. */
  readonly perOwner: number;
  /** Who is told of each job that ends; the secret signs what is told. */
  readonly webhook: { readonly url: string; readonly secret: string } | null;
}

/** Where WebRTC is spoken. */
export interface RtcConfig {
  /** Worker i listens on UDP and TCP port + i; 0 takes free ports. */
  readonly port: number;
  readonly workers: number;
  /** Null: the address that is listened on. */
  readonly announcedAddress: string | null;
  /** Where the media server's program is looked for, MEDIASOUP_WORKER_BIN before the cache. */
  readonly workerBinary: Readonly<WorkerBinaryLocation>;
}

export interface ServerConfig extends EngineConfig {
  readonly host: string;
  readonly port: number;
  readonly rtmpPort: number;
  readonly rtc: RtcConfig;
  /** Lower-case origins, or all. Empty: none but our own. */
  readonly corsOrigins: '*' | readonly string[];
  /** Without its closing slash; null: taken from each request. */
  readonly publicUrl: string | null;
  readonly allowPrivateSources: boolean;
  readonly rawPreview: boolean;
  /** A secret, and no text of it is printed; null: the one in DATA_DIR. */
  readonly encryptionKey: KeyObject | null;
  /** A secret, as it may hold a password; null: SQLite. */
  readonly databaseUrl: string | null;
  /** A secret, as it may hold a password; null: rows alone carry jobs. */
  readonly redisUrl: string | null;
  readonly jobs: JobConfig;
  /** Null: objects are kept in DATA_DIR. */
  readonly s3: S3Config | null;
  readonly hlsTimeSeconds: number;
  /** Absolute; null: the one of @ffmpeg-installer. */
  readonly ffmpegPath: string | null;
  readonly maxStreams: number;
  /** How long what was found in a still picture is kept; 0: not at all. */
  readonly stillsKeptMs: number;
  /** Absolute. */
  readonly dataDir: string;
  readonly clips: ClipLimits;
  readonly videos: { readonly maxBytes: number; readonly maxSeconds: number };
  /** What was uploaded is erased so long after; null: never. */
  readonly retentionMs: number | null;
}

/** Taken out of the environment once read: mediasoup's worker, which reads strangers' packets, is given all of it. */
const SECRETS = [
  'FACEBLUR_ENCRYPTION_KEY',
  'DATABASE_URL',
  'REDIS_URL',
  'S3_SECRET_ACCESS_KEY',
  'JOB_WEBHOOK_SECRET',
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Configuration of commands that only run the engine. What concerns the server is not looked at.
 * @throws GatewayError 'bad-config'
 */
export function loadEngineConfig(environment?: Environment): EngineConfig {
  const variables = environment ?? readEnvironment();
  return Object.freeze(engineConfig(parse(engineSchema, variables), variables));
}

/**
 * Configuration of `faceblur serve`, from the environment and, for what is unset there, `.env` in the working folder.
 * @throws GatewayError 'bad-config', its message naming each malformed variable, never a value
 */
export function loadServerConfig(environment?: Environment): ServerConfig {
  const variables = environment ?? readEnvironment();
  if (!environment) for (const name of SECRETS) delete process.env[name];
  const values = parse(serverSchema, variables);
  return Object.freeze({
    ...engineConfig(values, variables),
    host: values.HOST,
    port: values.PORT,
    rtmpPort: values.RTMP_PORT,
    rtc: Object.freeze({
      port: values.RTC_PORT,
      workers: values.RTC_WORKERS,
      announcedAddress: values.RTC_ANNOUNCED_ADDRESS ?? null,
      workerBinary: Object.freeze(
        defaultWorkerBinaryLocation({ ...variables, MEDIASOUP_WORKER_BIN: values.MEDIASOUP_WORKER_BIN }),
      ),
    }),
    corsOrigins: values.CORS_ORIGINS ?? NO_ORIGINS,
    publicUrl: values.PUBLIC_URL ?? null,
    allowPrivateSources: values.ALLOW_PRIVATE_SOURCES,
    rawPreview: values.RAW_PREVIEW,
    encryptionKey: values.FACEBLUR_ENCRYPTION_KEY ?? null,
    databaseUrl: values.DATABASE_URL ?? null,
    redisUrl: values.REDIS_URL ?? null,
    jobs: jobConfig(values),
    s3: s3Config(values),
    hlsTimeSeconds: values.HLS_TIME_SECONDS,
    ffmpegPath: values.FFMPEG_PATH ?? null,
    maxStreams: values.MAX_STREAMS,
    stillsKeptMs: values.STILLS_CACHE_SECONDS * 1000,
    dataDir: values.DATA_DIR,
    videos: Object.freeze({ maxBytes: values.MAX_VIDEO_BYTES, maxSeconds: values.MAX_VIDEO_SECONDS }),
    retentionMs: values.RETENTION_DAYS === 0 ? null : values.RETENTION_DAYS * 86_400_000,
    clips: Object.freeze({
      maxUploadBytes: values.MAX_UPLOAD_BYTES,
      maxQueued: values.MAX_QUEUED_CLIPS,
      maxKept: values.MAX_KEPT_CLIPS,
      lifetimeMs: values.CLIP_LIFETIME_SECONDS * 1000,
    }),
  });
}

function jobConfig(values: z.infer<typeof serverSchema>): JobConfig {
  const { JOB_CONCURRENCY: concurrency, JOBS_PER_OWNER: perOwner } = values;
  const { JOB_WEBHOOK_URL: url, JOB_WEBHOOK_SECRET: secret } = values;
  const webhook = url === undefined || secret === undefined ? null : Object.freeze({ url, secret });
  return Object.freeze({ concurrency, perOwner, webhook });
}

function s3Config(values: z.infer<typeof serverSchema>): S3Config | null {
  const { S3_BUCKET: bucket, S3_ENDPOINT: endpoint = null, S3_REGION: region } = values;
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = values;
  if (bucket === undefined) return null;
  const isGiven = accessKeyId !== undefined && secretAccessKey !== undefined;
  const credentials = isGiven ? Object.freeze({ accessKeyId, secretAccessKey }) : null;
  return Object.freeze({ bucket, endpoint, region, credentials, forcePathStyle: values.S3_FORCE_PATH_STYLE });
}

function engineConfig(values: z.infer<typeof engineSchema>, variables: Environment): EngineConfig {
  const modelsDir = values.FACEBLUR_MODELS_DIR;
  const modelLocations = Object.freeze(defaultModelLocations({ ...variables, FACEBLUR_MODELS_DIR: modelsDir }));
  return { logLevel: values.LOG_LEVEL, modelLocations };
}

/** True when a failing command should print its stack: LOG_LEVEL is debug or finer. Never fails. */
export function wantsStack(): boolean {
  return process.env.LOG_LEVEL === 'debug' || process.env.LOG_LEVEL === 'trace';
}

function parse<T>(schema: z.ZodType<T>, environment: Environment): T {
  const parsed = schema.safeParse(withoutEmpty(environment));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${messageOf(issue)}`);
  throw new GatewayError('bad-config', problems.join('; '));
}

function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_value' ? `must be one of ${issue.values.join(', ')}` : issue.message;
}

/** An empty value counts as unset. */
function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''));
}

function readEnvironment(): Environment {
  return { ...readDotEnv(), ...withoutEmpty(process.env) };
}

function readDotEnv(): Environment {
  try {
    return parseEnv(readFileSync('.env', 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return {};
    throw new GatewayError('bad-config', `cannot read .env in the working folder (${code})`, { cause: error });
  }
}
