/* results.h: the files of results/<experiment>/ and their columns: the one place that names them.
 *
 * manifest.json   config as resolved, hashes of config and data, version, git revision, host, CPU, BLAS kernel, threads, times
 * effect.csv      one row per variant x features x seed x split
 * compute.csv     one row per variant x features x precision x store x candidates x load
 * cascade.csv     one row per model in front of the ranker x candidates that it keeps
 * tuning.csv      one row per variant x point of `tune:`; then a column for each tuned option
 * tuning/         the sweeps behind it, as results folders of their own without a manifest
 * curves.csv      one row per variant x features x seed x epoch (epoch 0: before training)
 * latency.csv     the measured distribution behind each row of compute.csv: percentile (0..100) and RT there
 * instructions.csv  instructions of scoring one request, when they were counted (run --instructions)
 * fields.csv      one row per variant x field: what the field costs at serving (select)
 * importance.csv  one row per variant x selector x seed (and their mean) x field: what it is worth
 * subsets.csv     one row per variant x selector x K: which fields, and as which subset they were trained
 * ladder.csv      one row per model x step of the engine x candidates (measure.ladder); made by bench/run/ladder.c
 * tables.csv      one row per model x precision x pair field: table of partial products, or product; made by served.c
 * precision.csv   one row per trained run x precision x split: quality as served in it; made by bench/run/precision.c
 * retrieval.csv   one row per two-tower model x seed (and their mean) x index x search parameter x topk, with `retrieval:`
 * selection.csv   one row per variant x selector: the area under its curve; made by selection.c
 * chosen.json     the pick of each number of candidates, and what there is to say about it; made by choice.c
 * slices.csv      one row per variant x features x slice: GAUC by users' activity and by items' popularity
 * calibration.csv one row per variant x features x bin: predicted and observed share of clicks
 * tradeoff.csv    the join of effect (test split, mean over seeds) and compute; made by tradeoff.c
 * differences.csv  one row per variant x features but the first: GAUC's difference to the first, paired by user; likewise for
 *                 each of `compare_with`; made by differences.c from predictions/
 * teachers/       <run>.<hash>.logit.npy, .hidden.npy: what a teacher says of the training rows (bench/run/teacher.h)
 * Columns may be added at the end, never renamed. docs/results.md documents each one.
 */
#ifndef PRERANK_BENCH_RESULTS_H
#define PRERANK_BENCH_RESULTS_H

#define RESULTS_EFFECT_COLUMNS                                                                               \
    "variant,features,n_features,seed,split,auc,gauc,gauc_kept,logloss,pcoc,ece,ndcg10,ranker_recall,"       \
    "params,epochs,"                                                                                         \
    "train_seconds,examples_per_second,gauc_lo,gauc_hi,hr10,rows,users_kept,status,note"
#define RESULTS_COMPUTE_COLUMNS                                                                              \
    "variant,features,precision,store,candidates,threads,load,offered_qps,qps,items_per_second,p50_us,p95_"  \
    "us,p99_us,"                                                                                             \
    "p999_us,n,flops_per_candidate,bytes_per_candidate,flops_per_request,floor_us,verdict,p50_lo_us,p50_hi_" \
    "us,"                                                                                                    \
    "p99_lo_us,p99_hi_us,mean_us,missing,service_us,wait_us,lag_p99_us,utilisation,limit_ms,late_share,"     \
    "candidates_from,servers,threads_per_request,split_from,user_hit_share"
#define RESULTS_CASCADE_COLUMNS                                                                              \
    "variant,features,ranker,ranker_features,k,candidates,requests,seeds,ndcg10,ndcg10_lo,ndcg10_hi,hr10,"   \
    "clicks_kept,ranker_recall,pre_us,ranker_us,total_us,pre_flops,ranker_flops,total_flops,floor_us"
#define RESULTS_CURVES_COLUMNS                                                                               \
    "variant,features,seed,epoch,step,learning_rate,train_loss,valid_gauc,valid_auc,valid_logloss,seconds"
#define RESULTS_TUNING_COLUMNS "variant,features,seed,point,metric,value,chosen"
#define RESULTS_FIELDS_COLUMNS                                                                               \
    "variant,field,side,candidates,request_us,request_lo_us,request_hi_us,ns_per_candidate,"                 \
    "flops_per_candidate,bytes_per_candidate,flops_per_request,vocab"
#define RESULTS_IMPORTANCE_COLUMNS                                                                           \
    "variant,selector,seed,field,side,importance,rank,request_us,ns_per_candidate,flops_per_candidate,"      \
    "bytes_per_candidate,seconds,ranked_cost"
#define RESULTS_SUBSETS_COLUMNS "variant,selector,k,features,trained_as,n_fields,fields,required"
#define RESULTS_SELECTION_COLUMNS                                                                            \
    "variant,selector,points,area,area_lo,area_hi,area_valid,area_rt,rankings,area_rankings,area_rankings_"  \
    "lo,area_rankings_hi"
#define RESULTS_INSTRUCTIONS_COLUMNS "variant,features,precision,store,candidates,threads,load,instructions"
/* gauc_delta, score_max_diff, speedup (of p50): to the model's first step. concurrent: requests at once */
#define RESULTS_LADDER_COLUMNS                                                                               \
    "variant,features,candidates,rank,step,precision,threads,concurrent,n,p50_us,p99_us,qps,speedup,gauc,"   \
    "gauc_delta,score_max_diff,user_hit_share,floor_us"
/* table_bytes: as floats, which the limit is about; *_ns: a candidate, empty when the choice was not measured */
#define RESULTS_TABLES_COLUMNS                                                                               \
    "variant,features,precision,layer,field,vocab,dim,units,table_bytes,table_ns,product_ns,chosen,why"
/* gauc_delta: to the same run in fp32, *_lo and *_hi: bootstrap over users, paired; score_*: |logit - the logit in fp32| */
#define RESULTS_PRECISION_COLUMNS                                                                            \
    "variant,features,precision,seed,split,rows,gauc,gauc_delta,auc,logloss,score_max_diff,score_mean_diff," \
    "gauc_delta_lo,gauc_delta_hi"
#define RESULTS_SLICES_COLUMNS      "variant,features,by,slice,from,to,seeds,rows,users_kept,gauc,gauc_lo,gauc_hi"
#define RESULTS_CALIBRATION_COLUMNS "variant,features,bin,rows,predicted,observed"
#define RESULTS_LATENCY_COLUMNS                                                                              \
    "variant,features,precision,store,candidates,threads,load,percentile,rt_us,offered_qps"
/* recall against the exact result; hr, ndcg, click_recall against the held-out clicks, exact_* of the exact result; *_lo, *_hi:
 * bootstrap over users; *_seeds_lo, *_seeds_hi: t interval over seeds, in the rows of the seed `mean`. */
#define RESULTS_RETRIEVAL_COLUMNS                                                                            \
    "variant,features,seed,index,parameter,value,topk,threads,exclude,users,items,dim,recall,hr,ndcg,click_" \
    "recall,exact_hr,"                                                                                       \
    "exact_ndcg,exact_click_recall,qps,p50_us,p95_us,p99_us,p999_us,n,verdict,p50_lo_us,p50_hi_us,p99_lo_"   \
    "us,p99_hi_us,"                                                                                          \
    "mean_us,user_us,build_seconds,index_bytes,seeds,recall_lo,recall_hi,hr_lo,hr_hi,ndcg_lo,ndcg_hi,"       \
    "click_recall_lo,click_recall_hi,recall_seeds_lo,recall_seeds_hi,hr_seeds_lo,hr_seeds_hi,ndcg_seeds_lo," \
    "ndcg_seeds_hi,click_recall_seeds_lo,click_recall_seeds_hi,qps_seeds_lo,qps_seeds_hi,p50_seeds_lo_us,"   \
    "p50_seeds_hi_us"
/* gauc: mean over seeds on test; gauc_lo/hi: its 95 % t interval over seeds (with one seed: the bootstrap over users);
 * gauc_valid: mean on validation, what choices are made on; pareto: 1 when no other point of the same number of candidates is
 * at least as good in gauc and p50_us and better in one; chosen: 1 for the pick (empty without a budget). */
#define RESULTS_TRADEOFF_COLUMNS                                                                             \
    "variant,features,n_features,precision,store,candidates,threads,load,seeds,gauc,gauc_lo,gauc_hi,gauc_"   \
    "valid,auc,"                                                                                             \
    "logloss,p50_us,p50_lo_us,p50_hi_us,p99_us,qps,items_per_second,flops_per_candidate,bytes_per_"          \
    "candidate,floor_us,"                                                                                    \
    "params,pareto,chosen,usable_qps,gauc_delta"
#define RESULTS_DIFFERENCES_COLUMNS                                                                          \
    "variant,features,against,against_features,seeds,users,difference,lo,hi,seeds_lo,seeds_hi,p_users,p_"    \
    "holm,"                                                                                                  \
    "verdict"

#endif
