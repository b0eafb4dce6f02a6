from mmscale.cli.count_flops import main

if __name__ == '__main__':
    main()
