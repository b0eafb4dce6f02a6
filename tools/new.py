from mmscale.cli.new import main

if __name__ == '__main__':
    main()
