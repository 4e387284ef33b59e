"""Which images a data set is made of: candidates, quota, diversity, balance, split."""
