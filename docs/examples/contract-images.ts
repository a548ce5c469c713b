// #region contract
import { defineContract } from 'posthorn';
import { z } from 'zod';

const Image = z.object({ id: z.string(), width: z.int().positive(), format: z.enum(['jpeg', 'png', 'webp']) });

export const Images = defineContract({
  topic: 'images',
  version: '1.0',
  description: 'Keeps images, and makes thumbnails of them.',
  methods: {
    resize: {
      description: 'Makes a smaller copy.',
      params: z.object({
        id: z.string(),
        width: z.int().min(16).max(4096),
        format: Image.shape.format.default('webp'),
      }),
      stream: z.object({ percent: z.number().min(0).max(100) }),
      result: Image,
      errors: { NotFound: z.object({ id: z.string() }) },
    },
    forget: { params: z.object({ id: z.string() }), description: 'Deletes an image, some time.' },
  },
  events: {
    'image.resized': { payload: Image.extend({ took: z.number().describe('milliseconds') }) },
  },
});
// #endregion contract
