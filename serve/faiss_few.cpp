// What FAISS's C API cannot reach: how many vectors to train on FAISS asks for.
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>

extern "C" {
#include <faiss/c_api/Index_c.h>

// Clusters and product quantizers learn from as few vectors as there are, without FAISS's own words on stderr about it. What
// is learned is the same.
void index_accept_few(FaissIndex *index) {
    auto *x = reinterpret_cast<faiss::Index *>(index);
    if (auto *t = dynamic_cast<faiss::IndexPreTransform *>(x)) x = t->index;
    if (auto *ivf = dynamic_cast<faiss::IndexIVF *>(x)) ivf->cp.min_points_per_centroid = 1;
    if (auto *ivf = dynamic_cast<faiss::IndexIVFPQ *>(x)) ivf->pq.cp.min_points_per_centroid = 1;
    if (auto *pq = dynamic_cast<faiss::IndexPQ *>(x)) pq->pq.cp.min_points_per_centroid = 1;
}
}
