from mmscale.cli.convert_weights import main

if __name__ == '__main__':
    main()
