"""Examples at the end of every command's help; a test reads each with the command's parser."""

EXAMPLES = {
    'adapt': (
        'mmscale adapt mmdet::retinanet/retinanet_r50_fpn_1x_coco --backbone ReXNet '
        'width_mult=1.3 -o my_config.py',
        'mmscale adapt their_config.py --backbone ScaleNet depth=50 output_stride=16 -o mine.py',
    ),
    'allocate-neurons': (
        'mmscale allocate-neurons my_seed.py seed.pth --width-factor 1.361 '
        '-o mine.json --plot mine.png',
        'mmscale allocate-neurons my_seed.py seed.pth --gmacs 3 --shape 224 -o mine.json '
        '--keep-weights start.pth',
    ),
    'benchmark': (
        'mmscale benchmark rexnet-100 rexnet-100:fused timm-rexnet-100 --shape 1x224x224',
        'mmscale benchmark faster_rcnn_rexnet_fpn:fused --shape 1x320x480 --memory',
    ),
    'calibrate-bn': (
        'mmscale calibrate-bn my_san.py epoch_100.pth more.pth --resolutions 288 320',
    ),
    'check': (
        'mmscale check my_config.py',
        'mmscale check their_config.py --backbone ReXNet width_mult=1.3',
        'mmscale check annotations/instances_train.json --pictures train/ --deep',
        'mmscale check data/my_set --json',
    ),
    'compare-runs': (
        'mmscale compare-runs old=work_dirs/a,work_dirs/b new=work_dirs/c,work_dirs/d',
        'mmscale compare-runs net=work_dirs/net --metric accuracy/top1 --out top1.png',
    ),
    'completion': (
        'mmscale completion bash > ~/.local/share/bash-completion/completions/mmscale',
        'mmscale completion zsh > ~/.zfunc/_mmscale',
    ),
    'configs': (
        'mmscale configs',
        'mmscale configs mask_rcnn',
        'mmscale configs own_dataset -o my_config.py',
    ),
    'convert-weights': (
        'mmscale convert-weights timm://rexnet_100.nav_in1k rexnet-100.safetensors',
        'mmscale convert-weights rexnetv1_1.0x.pth rexnet-100.pth',
    ),
    'count-flops': (
        'mmscale count-flops faster_rcnn_rexnet_fpn',
        'mmscale count-flops mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco --backbone ReXNet '
        '--shape 800 1344 --json',
    ),
    'demo': (
        'mmscale demo',
        'mmscale demo --from-scratch --work-dir work_dirs/scratch --cfg-options '
        'train_cfg.max_iters=300',
    ),
    'export': (
        'mmscale export my_config.py work_dirs/my_config/epoch_12.pth detector.onnx',
        'mmscale export my_config.py epoch_12.pth detector.xml --shape 800 1216 --int8',
        'mmscale export my_config.py epoch_12.pth backbone.onnx --part backbone',
    ),
    'infer': (
        'mmscale infer detector.onnx pictures/ --out out',
        'mmscale infer epoch_12.pth street.jpg --config my_config.py --score 0.5',
    ),
    'launch': (
        'mmscale launch 8 train faster_rcnn_rexnet_fpn --auto-scale-lr',
        'mmscale launch 4 test my_config.py work_dirs/my_config/epoch_12.pth',
    ),
    'make-semantic': (
        'mmscale make-semantic data/maps coco/annotations/instances_train2017.json '
        'coco/annotations/instances_val2017.json',
    ),
    'make-shapes': (
        'mmscale make-shapes data/shapes',
        'mmscale make-shapes data/few --train 100 --val 20 --seed 1',
    ),
    'new': (
        'mmscale new data/mine -o my_config.py',
        'mmscale new VOCdevkit/VOC2007 -o voc.py --layout voc',
    ),
    'plot-structures': ('mmscale plot-structures scalenet50 mine.json --out shares.png',),
    'report': (
        'mmscale report work_dirs/my_config',
        'mmscale report work_dirs/before work_dirs/after -o compared.html',
    ),
    'test': (
        'mmscale test my_config.py work_dirs/my_config/epoch_12.pth',
        'mmscale test my_config.py work_dirs/my_config --report',
        'mmscale test my_config.py detector.onnx --out results.json --show-dir pictures',
        'mmscale test my_san.py epoch_100.pth --resolutions 96 128 224 --inference proxy ideal',
    ),
    'train': (
        'mmscale train faster_rcnn_rexnet_fpn --auto-scale-lr',
        'mmscale train my_config.py --resume --track tensorboard wandb',
        'mmscale train mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco --backbone ReXNet',
    ),
}
