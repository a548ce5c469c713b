import { ReflectionKind } from 'typedoc';

/** A plugin of typedoc: modules are named after their packages, and parameters that are taken apart at once have a name. */
export function load(app) {
  app.converter.on('resolveBegin', ({ project }) => {
    for (const module of project.children ?? []) module.name = module.name.replace(/\/src(\/index)?/, '');
    for (const parameter of project.getReflectionsByKind(ReflectionKind.Parameter))
      if (parameter.name === '__namedParameters')
        parameter.name = parameter.flags.isRest ? 'argsAndOptions' : 'options';
  });
}
