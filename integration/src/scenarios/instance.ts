import { MessagingError, type Serializer } from 'posthorn';

/** An object of the application, which travels with its name and version and arrives as its class. */
export class Instance {
  static readonly type = 'InstanceV1';
  readonly id: string;
  readonly name: string;
  readonly vcpus: number;

  constructor(id: string, name: string, vcpus: number) {
    this.id = id;
    this.name = name;
    this.vcpus = vcpus;
  }

  toString(): string {
    return `${this.name} (${this.id}, ${this.vcpus} vCPUs)`;
  }
}

/** Instances to plain values and back. */
export const instances: Serializer = {
  serializeEntity(_context, entity) {
    if (!(entity instanceof Instance)) return entity;
    const { id, name, vcpus } = entity;
    return { type: Instance.type, data: { id, name, vcpus } };
  },
  deserializeEntity(_context, entity) {
    if (typeof entity !== 'object' || entity === null || !('type' in entity && 'data' in entity)) return entity;
    if (entity.type !== Instance.type) throw new MessagingError('MALFORMED', `unknown object ${String(entity.type)}`);
    const { id, name, vcpus } = entity.data as Instance;
    return new Instance(id, name, vcpus);
  },
};
