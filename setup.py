"""Metadata of the package. Tool settings: pyproject.toml; tested versions: constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"'(.+)'", (ROOT / 'mmscale/version.py').read_text(encoding='utf-8')).group(1)

# For tools/export.py, and for tools/infer.py and tools/test.py on what it writes.
EXPORT = ['nncf', 'onnx>=1.17', 'onnxruntime>=1.18', 'onnxscript>=0.5', 'openvino>=2024.0']

setup(
    name='mmscale',
    version=VERSION,
    description='ReXNet, ScaleNet and SAN backbones for MMDetection and MMPretrain',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    install_requires=[
        'huggingface_hub>=0.26',
        'matplotlib',
        'numpy',
        'pycocotools',
        'rich',
        'safetensors',
        'scipy',
        'tensorboard',
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
            'torchvision',
        ],
        'openmmlab': [
            'mmcv-lite>=2.1.0,<2.2.0',  # mmcv without its operators, for which others stand in
            'mmdet>=3.3.0',
            'mmengine>=0.10.7',
            'mmpretrain>=1.2.0',
            'numpy<2',
            'torchvision',
        ],
        'fast-eval': ['faster-coco-eval'],
        'export': EXPORT,
        'dev': [
            *EXPORT,
            'codespell',
            'faster-coco-eval',
            'hypothesis',
            'mypy',
            'pytest',
            'pytest-xdist',
            'ruff',
        ],
    },
    packages=find_packages(include=['mmscale', 'mmscale.*']),
    # mmscale/.mim holds links to the folders beside the package; wheel and sdist get the files.
    package_data={'mmscale': ['.mim/**']},
    exclude_package_data={'': ['*.pyc']},
    entry_points={'console_scripts': ['mmscale = mmscale.cli:main']},
    zip_safe=False,
)
