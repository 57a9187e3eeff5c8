module octoplex/bench

go 1.24
