from mmscale.cli.compare_runs import main

if __name__ == '__main__':
    main()
