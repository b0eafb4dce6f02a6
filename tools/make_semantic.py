from mmscale.cli.make_semantic import main

if __name__ == '__main__':
    main()
