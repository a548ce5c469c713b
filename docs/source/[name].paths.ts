import { linkedSources } from '../.vitepress/source-pages.ts';

/** A page for each file of the repository that other pages point to. */
export default {
  paths: () =>
    linkedSources().map(({ name, path, text }) => {
      const fence = text.includes('```') ? '````' : '```';
      return { params: { name, path }, content: `${fence}${path.split('.').pop()}\n${text}\n${fence}` };
    }),
};
