/** What frames look like, for who writes and who reads them: AMQP 0-9-1, sections 4.2.3, 4.2.5.5 and 4.2.6.1. */

export const METHOD = 1;
export const HEADER = 2;
export const BODY = 3;
export const END = 0xce;
/** Type, channel and size before the payload, the end mark after it. */
export const FRAME_OVERHEAD = 8;
export const CLASS_BASIC = 60;

/** The properties that a content header has. */
export const CONTENT_TYPE = 0x8000;
export const CONTENT_ENCODING = 0x4000;
export const HEADERS = 0x2000;
export const DELIVERY_MODE = 0x1000;
export const PRIORITY = 0x0800;
export const CORRELATION_ID = 0x0400;
export const REPLY_TO = 0x0200;
export const EXPIRATION = 0x0100;
export const MESSAGE_ID = 0x0080;
export const TYPE = 0x0020;

/** Kinds of values in headers, as RabbitMQ has them: a text of up to 4 GiB, a boolean, integers of 32 and 64 bits, a double. */
export const LONG_TEXT = 0x53;
export const BOOLEAN = 0x74;
export const INTEGER = 0x49;
export const LONG_INTEGER = 0x6c;
export const DOUBLE = 0x64;
