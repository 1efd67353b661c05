import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { defaultModelLocations, type ModelLocations } from '../models/locations.ts';
import { GatewayError } from './errors.ts';
import { isLoopback } from './loopback.ts';

const GIB = 1024 ** 3;

/** A whole number, written in digits alone. */
const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number);

const folder = z.string().transform((path) => resolve(path));

/** What every command uses. */
const engineVariables = {
  /** Least severe log entry that is written. */
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Folder with model files; unset: the cache, then the places that `models/` knows. */
  FACEBLUR_MODELS_DIR: folder.optional(),
};

/** What `faceblur serve` uses besides. */
const serverVariables = {
  HOST: z
    .string()
    .default('127.0.0.1')
    .refine(isLoopback, 'must be a loopback address for now (127.0.0.1, ::1, localhost): there are no API keys yet'),
  /** 0 takes any free port. */
  PORT: wholeNumber.pipe(z.number().max(65_535, 'must be at most 65535')).default(8080),
  /** Everything the process writes goes below this folder. */
  DATA_DIR: folder.default(() => resolve('data')),
  /** Largest clip that the start page takes. */
  MAX_UPLOAD_BYTES: wholeNumber.pipe(z.number().positive('must be at least 1')).default(2 * GIB),
  /** Clips that may wait, or still be on their way in, while another is being blurred. */
  MAX_QUEUED_CLIPS: wholeNumber.pipe(z.number().positive('must be at least 1')).default(8),
  /** Finished clips kept at a time; the oldest goes first. */
  MAX_KEPT_CLIPS: wholeNumber.pipe(z.number().positive('must be at least 1')).default(16),
  /** A finished clip is erased after this time. */
  CLIP_LIFETIME_SECONDS: wholeNumber
    .pipe(z.number().positive('must be at least 1').max(86_400, 'must be at most 86400'))
    .default(3600),
};

const engineSchema = z.object(engineVariables);
const serverSchema = z.object({ ...engineVariables, ...serverVariables });

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

export interface ServerConfig extends EngineConfig {
  readonly host: string;
  readonly port: number;
  /** Absolute. */
  readonly dataDir: string;
  readonly clips: ClipLimits;
}

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
  const values = parse(serverSchema, variables);
  return Object.freeze({
    ...engineConfig(values, variables),
    host: values.HOST,
    port: values.PORT,
    dataDir: values.DATA_DIR,
    clips: Object.freeze({
      maxUploadBytes: values.MAX_UPLOAD_BYTES,
      maxQueued: values.MAX_QUEUED_CLIPS,
      maxKept: values.MAX_KEPT_CLIPS,
      lifetimeMs: values.CLIP_LIFETIME_SECONDS * 1000,
    }),
  });
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
