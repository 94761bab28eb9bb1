// The part of FAISS's C API that serve/index.c uses, over the C++ library: Debian ships the C headers without
// the library that implements them. Not compiled where there is a libfaiss_c.
#include <exception>
#include <faiss/AutoTune.h>
#include <faiss/Index.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <memory>
#include <string>

extern "C" {
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
}

namespace {

thread_local std::string last_error;

// No exception may reach C.
template <class F> int guarded(F f) {
    try {
        f();
        return OK;
    } catch (const faiss::FaissException &x) {
        last_error = x.what();
        return FAISS_EXCEPT;
    } catch (const std::exception &x) {
        last_error = x.what();
        return STD_EXCEPT;
    } catch (...) {
        last_error = "unknown exception";
        return UNKNOWN_EXCEPT;
    }
}

faiss::Index *cpp(FaissIndex *x) { return reinterpret_cast<faiss::Index *>(x); }
const faiss::Index *cpp(const FaissIndex *x) { return reinterpret_cast<const faiss::Index *>(x); }
FaissIndex *c(faiss::Index *x) { return reinterpret_cast<FaissIndex *>(x); }

} // namespace

extern "C" {

const char *faiss_get_last_error() { return last_error.c_str(); }

int faiss_index_factory(FaissIndex **out, int d, const char *description, FaissMetricType metric) {
    return guarded([&] { *out = c(faiss::index_factory(d, description, faiss::MetricType(metric))); });
}

void faiss_Index_free(FaissIndex *x) { delete cpp(x); }
int faiss_Index_d(const FaissIndex *x) { return static_cast<int>(cpp(x)->d); }
int faiss_Index_is_trained(const FaissIndex *x) { return cpp(x)->is_trained; }
idx_t faiss_Index_ntotal(const FaissIndex *x) { return cpp(x)->ntotal; }
FaissMetricType faiss_Index_metric_type(const FaissIndex *x) { return FaissMetricType(cpp(x)->metric_type); }

int faiss_Index_train(FaissIndex *x, idx_t n, const float *v) {
    return guarded([&] { cpp(x)->train(n, v); });
}

int faiss_Index_add(FaissIndex *x, idx_t n, const float *v) {
    return guarded([&] { cpp(x)->add(n, v); });
}

int faiss_Index_search(const FaissIndex *x, idx_t n, const float *v, idx_t k, float *distances,
                       idx_t *labels) {
    return guarded([&] { cpp(x)->search(n, v, k, distances, labels); });
}

int faiss_write_index(const FaissIndex *x, FILE *f) {
    return guarded([&] { faiss::write_index(cpp(x), f); });
}

int faiss_read_index(FILE *f, int flags, FaissIndex **out) {
    return guarded([&] { *out = c(faiss::read_index(f, flags)); });
}

int faiss_ParameterSpace_new(FaissParameterSpace **out) {
    return guarded([&] { *out = reinterpret_cast<FaissParameterSpace *>(new faiss::ParameterSpace()); });
}

void faiss_ParameterSpace_free(FaissParameterSpace *p) {
    delete reinterpret_cast<faiss::ParameterSpace *>(p);
}

int faiss_ParameterSpace_set_index_parameter(const FaissParameterSpace *p, FaissIndex *x, const char *name,
                                             double value) {
    return guarded([&] {
        reinterpret_cast<const faiss::ParameterSpace *>(p)->set_index_parameter(cpp(x), name, value);
    });
}
}
