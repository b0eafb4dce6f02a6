from mmscale.cli.configs import main

if __name__ == '__main__':
    main()
