module hobpeers/fibers

go 1.19
