from mmscale.cli.check import main

if __name__ == '__main__':
    main()
