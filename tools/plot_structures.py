from mmscale.cli.plot_structures import main

if __name__ == '__main__':
    main()
