from mmscale.cli.make_shapes import main

if __name__ == '__main__':
    main()
