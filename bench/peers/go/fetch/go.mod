module hobpeers/fetch

go 1.19
