"""Metadata of the package. Tool settings: pyproject.toml; tested versions: constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"'(.+)'", (ROOT / 'mmscale/version.py').read_text(encoding='utf-8')).group(1)

# On a package index the README's relative links lead nowhere: they get the repository's address,
# which stands in CITATION.cff once there is one that everybody can open.
README = (ROOT / 'README.md').read_text(encoding='utf-8')
CITATION = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
ADDRESS = re.search(r'^repository-code: *(\S+)', CITATION, re.MULTILINE)
PAGES = {}
if ADDRESS:
    pages, files = (f'{ADDRESS[1]}/{kind}/v{VERSION}/' for kind in ('blob', 'raw'))
    README = re.sub(r'(!\[[^\]]*\]\()(?!https?:)', rf'\1{files}', README)
    README = re.sub(r'(\]\()(?!https?:|#)', rf'\1{pages}', README)
    PAGES = {'Source': ADDRESS[1], 'Changelog': f'{pages}CHANGELOG.md'}

# Lower bounds are above the published security fixes, which the comments name: docs/reliability.md.

# For tools/export.py, and for tools/infer.py and tools/test.py on what it writes.
EXPORT = [
    'nncf',
    # 1.21: external data outside the model's folder (CVE-2025-51480, CVE-2026-27489, -34446,
    # -34447), keys of a file that set attributes (-34445); 1.22: crashes (-44512).
    'onnx>=1.22',
    # 1.13.1: external data outside the folder, protobuf (CVE-2022-1941). Later releases check more
    # without a number; this one is the last for Python 3.10.
    'onnxruntime>=1.23.2',
    'onnxscript>=0.5',
    'openvino>=2024.0',
]

# mmcv brings it without a bound. 4.8.1.78: WebP (CVE-2023-4863); 4.10 and 4.11 write outside a
# buffer for a JPEG (CVE-2025-53644), and 4.12 needs numpy 2.
OPENCV = [
    'opencv-python>=4.8.1.78,!=4.10.*,!=4.11.*',
    'opencv-python>=4.13; python_version >= "3.14"',  # for the NumPy that there are wheels of
]

# Large pictures in slices, and results for its tools. 0.30 brings PyAV, whose wheels hold x264 and
# x265 (GPL).
SUPERVISION = 'supervision>=0.27,<0.30'

# COCO's figures. 1.3 is what tests compare with pycocotools.
HOTCOCO = 'hotcoco>=1.3,<2'

# The site of docs/, by `make docs`. These releases want Python 3.11.
DOCS = [
    'furo; python_version >= "3.11"',
    'myst-parser>=5; python_version >= "3.11"',
    'sphinx>=8.2; python_version >= "3.11"',
]

setup(
    name='mmscale',
    version=VERSION,
    description='ReXNet, ScaleNet and SAN backbones for MMDetection, MMPretrain and MMSegmentation',
    long_description=README,
    long_description_content_type='text/markdown',
    author='The authors of mmscale',
    license='Apache-2.0',
    license_files=['LICENSE'],
    project_urls=PAGES,
    keywords=['object detection', 'mmdetection', 'backbone', 'rexnet', 'scalenet', 'san'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        *[f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)],
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    install_requires=[
        'huggingface_hub>=0.26',
        'jinja2>=3.1.6',  # templates that leave its sandbox: CVE-2025-27516
        'matplotlib',
        'numpy>=1.22.2',  # CVE-2021-34141, CVE-2021-41495, CVE-2021-41496
        'pillow>=12.3',  # pictures that write outside a buffer: CVE-2026-25990, -59197 to -59200
        'pycocotools',
        'rich',
        'safetensors',
        'scipy>=1.10',  # CVE-2023-25399
        'tensorboard',
        # 2.6 mends what torch.load itself lets a file do (CVE-2025-32434); here it reads with
        # the unpickler of mmscale/checkpoints/unpickling.py, so that older ones are safe too.
        'torch>=2.1',
    ],
    # Two families of distributions provide mmengine, mmcv, mmdet and mmpretrain, and overwrite each
    # other's files: exactly one of the first two extras belongs in an environment.
    extras_require={
        'onedl': [
            'onedl-mmcv>=2.3.6',
            'onedl-mmdetection>=3.5.1',
            'onedl-mmengine>=0.10.12',
            'onedl-mmpretrain>=1.3.6',
            *OPENCV,
            'torch>=2.3',  # onedl-mmengine imports torch.amp.GradScaler
            'torchvision',
        ],
        'openmmlab': [
            'mmcv-lite>=2.1.0,<2.2.0',  # mmcv without its operators, for which others stand in
            'mmdet>=3.3.0',
            'mmengine>=0.10.7',
            'mmpretrain>=1.2.0',
            *OPENCV,
            'numpy<2; python_version < "3.13"',  # for torch before 2.3; NumPy 2 was tried
            'setuptools<82',  # mmengine imports pkg_resources; Python 3.12 brings none
            'torchvision',
        ],
        # Segmentors. Upstream's does not say that it imports the last two.
        'onedl-seg': ['onedl-mmsegmentation>=1.4.2'],
        'openmmlab-seg': ['mmsegmentation>=1.2.2', 'ftfy', 'regex'],
        # Oriented boxes; upstream's was not tried.
        'onedl-rotate': ['onedl-mmrotate>=1.2.1'],
        'fast-eval': [HOTCOCO],
        'completion': ['shtab'],
        'supervision': [SUPERVISION],
        # The page of a test: Vega's scripts for its charts, and COCO's figures in seconds.
        'report': [HOTCOCO, 'vl-convert-python>=1.9'],
        'export': EXPORT,
        'docs': DOCS,
        'dev': [
            *DOCS,
            *EXPORT,
            'codespell',
            'cyclonedx-python-lib>=11',
            HOTCOCO,
            'hypothesis',
            'mypy',
            'onedl-mmrotate',
            'onedl-mmsegmentation',
            'pytest',
            'pytest-xdist',
            'ruff',
            'shtab',
            SUPERVISION,
            'vl-convert-python>=1.9',
        ],
    },
    packages=find_packages(include=['mmscale', 'mmscale.*']),
    # mmscale/.mim holds links to the folders beside the package; wheel and sdist get the files.
    package_data={
        'mmscale': ['.mim/**', 'deploy/native/*.cpp', 'deploy/native/*.h', 'reports/page/page.*']
    },
    exclude_package_data={'': ['*.pyc']},
    entry_points={'console_scripts': ['mmscale = mmscale.cli:main']},
    zip_safe=False,
)
