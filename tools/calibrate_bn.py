from mmscale.cli.calibrate_bn import main

if __name__ == '__main__':
    main()
