from mmscale.cli.completion import main

if __name__ == '__main__':
    main()
