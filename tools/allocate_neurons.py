from mmscale.cli.allocate_neurons import main

if __name__ == '__main__':
    main()
