# Writes the MovieLens ratings that come with the R package dslabs (100,004 ratings by 671 users; GroupLens, 2016) as a CSV with a
# header. Called once by `make data`:  Rscript configs/data/movielens.R build/data/movielens/ratings.csv
out <- commandArgs(trailingOnly = TRUE)[1]
suppressPackageStartupMessages(library(dslabs))
data(movielens)
movielens$genres <- as.character(movielens$genres)
columns <- c("userId", "movieId", "rating", "timestamp", "title", "year", "genres")
dir.create(dirname(out), recursive = TRUE, showWarnings = FALSE)
part <- paste0(out, ".part")
write.csv(movielens[, columns], part, row.names = FALSE, na = "", fileEncoding = "UTF-8")
invisible(file.rename(part, out))
