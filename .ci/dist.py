"""Builds a commit's sdist and, from it, the wheel: the same bytes each time. Its SBOM lies beside.

    python .ci/dist.py [--commit COMMIT] [--out FOLDER]

The files are the commit's, not those of the working tree. Nothing is fetched: setuptools is the one
that is installed here, and other bytes come only from another setuptools (or another zlib).
"""

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
import zipfile
from datetime import datetime, timezone
from importlib.metadata import PathDistribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from licences import applying, closure, installed, licence
from packageurl import PackageURL
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
EXTRAS = ('onedl', 'export')  # whose packages are parts too, in the versions installed here
OPTIONS = ('--no-deps', '--no-build-isolation', '--no-index', '--no-cache-dir', '--quiet')


def git(*args: str) -> bytes:
    return subprocess.run(['git', *args], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def extract(commit: str, folder: Path) -> None:
    """Lay out a commit's files, with rights that depend on nobody's umask."""
    with tarfile.open(fileobj=io.BytesIO(git('archive', commit))) as archive:
        archive.extraction_filter = getattr(tarfile, 'data_filter', None)  # Python 3.14's own
        for member in archive:
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            archive.extract(member, folder)


def build(commit: str, out: Path) -> tuple[Path, Path]:
    """Build the sdist of a commit, and the wheel from what the sdist has.

    Args:
        commit (str): Any name of it.
        out (Path): The folder for both.

    Returns:
        tuple[Path, Path]: The sdist and the wheel.
    """
    os.umask(0o022)
    time = moment(commit)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'source')
        source.mkdir()
        extract(commit, source)
        hook = f'from setuptools.build_meta import build_sdist; build_sdist({folder!r})'
        run(['-c', hook], source, time)
        (made,) = Path(folder).glob('*.tar.gz')
        sdist = out / made.name
        sdist.write_bytes(repacked(made, int(time)))
        return sdist, build_wheel(sdist, out, time)


def build_wheel(source: Path, out: Path, time: str) -> Path:
    """Build a wheel.

    Args:
        source (Path): An sdist, or a folder with the sources.
        out (Path): The folder for the wheel.
        time (str): The time of its files, in seconds.

    Returns:
        Path: The wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        run(['-m', 'pip', 'wheel', *OPTIONS, '--wheel-dir', folder, str(source)], out, time)
        (wheel,) = Path(folder).glob('*.whl')
        target = out / wheel.name
        target.write_bytes(wheel.read_bytes())
    return target


def run(arguments: list[str], folder: Path, time: str) -> None:
    """Have this Python do something in a folder, at a time that is given."""
    environment = dict(os.environ, SOURCE_DATE_EPOCH=time, PYTHONHASHSEED='0', TZ='UTC')
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def repacked(archive: Path, time: int) -> bytes:
    """A .tar.gz's content, in order and with nothing of the machine where it was packed."""
    content = io.BytesIO()
    with (
        tarfile.open(archive) as packed,
        gzip.GzipFile(filename='', mode='wb', fileobj=content, mtime=time) as zipped,
        tarfile.open(fileobj=zipped, mode='w', format=tarfile.GNU_FORMAT) as target,
    ):
        for member in sorted(packed, key=lambda member: member.name):
            member.mtime, member.pax_headers = time, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ''
            target.addfile(member, packed.extractfile(member) if member.isfile() else None)
    return content.getvalue()


def moment(commit: str) -> str:
    """A commit's time, in seconds."""
    return git('log', '-1', '--format=%ct', commit).decode().strip()


def parts(wheel: Path, commit: str) -> str:
    """The wheel's SBOM: CycloneDX in JSON.

    Args:
        wheel (Path): The wheel.
        commit (str): Its commit, whose time is the list's.

    Returns:
        str: The same for the same wheel and the same installed packages.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.split('/')[0] for name in archive.namelist() if '.dist-info/' in name}
        itself = PathDistribution(zipfile.Path(archive, f'{info}/'))  # type: ignore[arg-type]
        metadata = itself.metadata
        asked = list(applying(itself.requires or [], EXTRAS))
    found = closure(asked)
    licences = LicenseFactory()
    components = {}
    for name in sorted(found):
        package = installed(name)
        assert package is not None
        url = PackageURL('pypi', name=name, version=package.version)
        components[name] = Component(
            name=name,
            version=package.version,
            purl=url,
            bom_ref=str(url),
            licenses=[licences.make_from_string(licence(package))],
        )
    url = PackageURL('pypi', name='mmscale', version=metadata['Version'])
    root = Component(
        name='mmscale',
        version=metadata['Version'],
        type=ComponentType.LIBRARY,
        description=metadata['Summary'],
        purl=url,
        bom_ref=str(url),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[licences.make_from_string(metadata['License'])],
    )
    bom = Bom(
        components=components.values(),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f'{url}#{digest}'),
        metadata=BomMetaData(
            component=root, timestamp=datetime.fromtimestamp(int(moment(commit)), timezone.utc)
        ),
    )
    first = {canonicalize_name(requirement.name) for requirement in asked}
    bom.register_dependency(root, [components[name] for name in sorted(first & {*found})])
    for name, needs in found.items():
        bom.register_dependency(components[name], [components[n] for n in sorted(needs)])
    return JsonV1Dot6(bom).output_as_string(indent=2) + '\n'


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--commit', default='HEAD')
    parser.add_argument('--out', type=Path, default=ROOT / 'dist')
    args = parser.parse_args(argv)
    built = build(args.commit, args.out.resolve())
    for path in built:
        print(f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}')
    wheel = built[1]
    target = wheel.with_suffix('.cdx.json')
    target.write_text(parts(wheel, args.commit), encoding='utf-8')
    print(target)
    if git('status', '--porcelain', '--untracked-files=no'):
        print(f'Changes that are not committed are left out: this is {args.commit}.')


if __name__ == '__main__':
    main(sys.argv[1:])
