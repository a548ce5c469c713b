import { type PublishResult, Router, TypedMessage } from 'posthorn';

/** How much of something was used. */
export class Counter extends TypedMessage {
  static readonly messageType = 'counter';
  static readonly version = '1.0';
  readonly name: string;
  readonly resource: string;
  readonly volume: number;

  constructor(name: string, resource: string, volume: number) {
    super(Counter);
    this.name = name;
    this.resource = resource;
    this.volume = volume;
  }

  override toString(): string {
    return `${this.volume} ${this.name} of ${this.resource}`;
  }
}

/** What those who meter have to tell, and under which key. */
export class CeilometerRouter extends Router {
  sendMeterMessage(meter: Counter): Promise<PublishResult> {
    return this.send('metering', meter);
  }
}
