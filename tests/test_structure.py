"""The floor plan of the package: which package may import which, counted from the imports."""

import ast

import pytest
from commands import ROOT

PACKAGE = ROOT / 'mmscale'

# From the bottom up: a module imports from its own package and from those above it in this list.
ORDER = (
    'errors', 'version',
    'utils',  # the environment, files, figures
    'operators',  # what stands in for mmcv's compiled operators
    'registry',
    'families',  # the backbones by name
    'structures',  # ScaleNet's neuron structures
    'datasets',
    'checks',  # what is wrong with a data set or a config
    'semantic',  # maps of classes from instance masks
    'evaluation',
    'models',
    'checkpoints',
    'deploy',
    'exported',  # reading exported files
    'engine',  # training and testing
    'reports',  # pictures and tables of what was measured
    'resolutions', 'allocation', 'inference',
    'export',  # writing exported files
    'benchmark',
    'adapting',  # another backbone for anyone's config
    'beginning',  # a config for a folder of data
    'cli',
    '__main__',
)  # fmt: skip
FLAT = 9  # files directly in the package


def name_of(path):
    parts = ('mmscale', *path.relative_to(PACKAGE).with_suffix('').parts)
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {
    name_of(path): ast.parse(path.read_text(encoding='utf-8'))
    for path in PACKAGE.rglob('*.py')
    if not {'.mim', 'configs'} & {*path.parts}  # configs, which no module imports
}


def imports_of(name, nodes=None):
    """The package's own modules that a module imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(MODULES[name]) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split('.')[0] == 'mmscale'}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{name} has a relative import'
            if node.module.split('.')[0] == 'mmscale':
                for alias in node.names:
                    inner = f'{node.module}.{alias.name}'
                    found.add(inner if inner in MODULES else node.module)
    return found


def part_of(module):
    """The file or package directly in mmscale that a module belongs to; '' for mmscale itself."""
    return module.removeprefix('mmscale').removeprefix('.').partition('.')[0]


def test_the_order_names_every_part():
    assert sorted(ORDER) == sorted({part_of(module) for module in MODULES} - {''})


@pytest.mark.parametrize('module', sorted(MODULES))
def test_imports_do_not_run_upwards(module):
    if module == 'mmscale':  # the face, which nothing inside imports
        return
    floor = ORDER.index(part_of(module))
    for imported in imports_of(module):
        assert part_of(imported), f'{module} imports the face of the package: name the module'
        assert ORDER.index(part_of(imported)) <= floor, f'{module} imports {imported}'


def test_no_circle_among_modules():
    left = {module: imports_of(module) - {module} for module in MODULES}
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f'these import each other: {left}'


@pytest.mark.parametrize('module', sorted(MODULES))
def test_no_import_of_the_package_inside_a_function(module):
    for node in ast.walk(MODULES[module]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            assert not imports_of(module, ast.walk(node)), f'{module}: line {node.lineno}'


def test_few_files_lie_flat_in_the_package():
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= FLAT


def signatures(tree):
    """Every public function and method of a module, by its name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and (
                    inner.name in ('__init__', '__call__') or not inner.name.startswith('_')
                ):
                    yield f'{node.name}.{inner.name}', inner


@pytest.mark.parametrize('module', sorted(MODULES))
def test_public_functions_are_annotated(module):
    for name, function in signatures(MODULES[module]):
        given = function.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bare = [a.arg for a in every if a and not a.annotation and a.arg not in ('self', 'cls')]
        assert not bare, f'{name} of {module} does not annotate {bare}'
        assert function.returns is not None, f'{name} of {module} does not annotate what it returns'
