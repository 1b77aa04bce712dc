/**
 * One case folding for every platform (FN12): Unicode 10.0's full, locale-free folding, whatever version Node carries. Two paths with one
 * key may be one file on a disk that folds names.
 *
 * Made once from `Case_Folding/C` and `Case_Folding/F` of the npm package `@unicode/unicode-10.0.0` (data files of the Unicode Consortium).
 */

/** Runs `gap since the last run's start, further members, distance to the folded one`, base 36; `+`: every second code point. */
const SIMPLE =
  "1t,p,w 38,0,lj b,m,w o,6,w 14,n+,1 1e,2+,1 7,7+,1 h,m+,1 1a,0,-3d 1,2+,1 6,0,-7g 2,0,5u 1,1+,1 4,0,5q 1,0,1 2,1,5p 2,0,1 " +
  "3,0,27 1,0,5m 1,0,5n 1,0,1 2,0,5p 1,0,5r 2,0,5v 1,0,5t 1,0,1 4,0,5v 1,0,5x 2,0,5y 1,2+,1 6,0,62 1,0,1 2,0,62 3,0,1 2,0,62 " +
  "1,0,1 2,1,61 2,1+,1 4,0,63 1,0,1 4,0,1 8,0,2 1,0,1 2,0,2 1,0,1 2,0,2 1,8+,1 j,8+,1 j,0,2 1,1+,1 4,0,-2p 1,0,-1k 1,j+,1 " +
  "14,0,-3m 2,8+,1 o,0,8bv 1,0,1 2,0,-4j 1,0,8bs 3,0,1 2,0,-5f 1,0,1x 1,0,1z 1,4+,1 73,0,38 17,1+,1 6,0,1 9,0,38 7,0,12 2,2,11 " +
  "4,0,1s 2,1,1r 3,g,w i,8,w v,0,1 d,0,8 1,0,-u 1,0,-p 4,0,-f 1,0,-m 2,b+,1 o,0,-1i 1,0,-1c 3,0,-1o 1,0,-1s 2,0,1 2,0,-7 1,0,1 " +
  "3,2,-3m 3,f,28 g,v,w 28,g+,1 16,q+,1 1i,0,f 1,6+,1 f,1b+,1 2p,11,1c 29b,11,5ls 13,0,5ls 6,0,5ls mj,5,-8 1oo,0,-4su 1,0,-4st " +
  "1,0,-4sk 1,1,-4si 2,0,-4sj 1,0,-4sc 1,0,-4ro 1,0,r7n ag,22+,1 4b,0,-1m 5,1b+,1 2w,7,-8 g,5,-8 g,7,-8 g,7,-8 g,5,-8 h,3+,-8 " +
  "f,7,-8 28,1,-8 2,1,-22 4,0,-5j9 a,3,-2e g,1,-8 2,1,-2s e,1,-8 2,1,-34 2,0,-7 c,1,-3k 2,1,-3i 8c,0,-5st 4,0,-6gv 1,0,-6di 7,0,s " +
  "1a,f,g z,0,1 mr,p,q 1fu,1a,1c 2o,0,1 2,0,-8af 1,0,-2xy 1,0,-89z 3,2+,1 6,0,-8bg 1,0,-8al 1,0,-8bj 1,0,-8bi 2,0,1 3,0,1 " +
  "9,1,-8cf 2,1d+,1 2z,1+,1 7,0,1 nym,m+,1 1s,d+,1 4i,6+,1 g,u+,1 1z,1+,1 4,0,-r9g 1,4+,1 d,0,1 2,0,-wmg 3,1+,1 6,9+,1 k,0,-wn8 " +
  "1,0,-wnj 1,0,-wnf 1,0,-wn5 1,0,-wn8 2,0,-wlu 1,0,-wmi 1,0,-wlx 1,0,ps 1,1+,1 qk,27,-tzk gj5,p,w yn,13,14 4w,z,14 1jk,1e,1s " +
  "2e8,v,w 155s,x,y";

/** `from,to,to…`, base 36. */
const FULL =
  "67,37,37 8g,2x,lj 95,jg,32 ds,2y,lo pc,qh,lk,ld q8,qt,lk,ld 13b,12d,136 61i,2w,mp 61j,38,lk 61k,3b,lm 61l,3d,lm 61m,2p,ji " +
  "61q,37,37 66o,qt,lv 66q,qt,lv,lc 66s,qt,lv,ld 66u,qt,lv,n6 680,64g,qh 681,64h,qh 682,64i,qh 683,64j,qh 684,64k,qh 685,64l,qh " +
  "686,64m,qh 687,64n,qh 688,64g,qh 689,64h,qh 68a,64i,qh 68b,64j,qh 68c,64k,qh 68d,64l,qh 68e,64m,qh 68f,64n,qh 68g,65c,qh " +
  "68h,65d,qh 68i,65e,qh 68j,65f,qh 68k,65g,qh 68l,65h,qh 68m,65i,qh 68n,65j,qh 68o,65c,qh 68p,65d,qh 68q,65e,qh 68r,65f,qh " +
  "68s,65g,qh 68t,65h,qh 68u,65i,qh 68v,65j,qh 68w,674,qh 68x,675,qh 68y,676,qh 68z,677,qh 690,678,qh 691,679,qh 692,67a,qh " +
  "693,67b,qh 694,674,qh 695,675,qh 696,676,qh 697,677,qh 698,678,qh 699,679,qh 69a,67a,qh 69b,67b,qh 69e,67k,qh 69f,q9,qh " +
  "69g,q4,qh 69i,q9,n6 69j,q9,n6,qh 69o,q9,qh 69u,67o,qh 69v,qf,qh 69w,q6,qh 69y,qf,n6 69z,qf,n6,qh 6a4,qf,qh 6aa,qh,lk,lc " +
  "6ab,qh,lk,ld 6ae,qh,n6 6af,qh,lk,n6 6aq,qt,lk,lc 6ar,qt,lk,ld 6as,qp,lv 6au,qt,n6 6av,qt,lk,n6 6b6,67w,qh 6b7,qx,qh 6b8,r2,qh " +
  "6ba,qx,n6 6bb,qx,n6,qh 6bg,qx,qh 1dkw,2u,2u 1dkx,2u,2x 1dky,2u,30 1dkz,2u,2u,2x 1dl0,2u,2u,30 1dl1,37,38 1dl2,37,38 " +
  "1dlf,12s,12u 1dlg,12s,12d 1dlh,12s,12j 1dli,132,12u 1dlj,12s,12l";

const folded = new Map([...decodeSimple(SIMPLE), ...decodeFull(FULL)]);

/** The key under which spellings that differ only in case or normalisation meet. Not for display, not for the wire. */
export function foldKey(path: string): string {
  // ASCII needs no table, and nearly all paths are ASCII.
  if (isAscii(path)) return path.toLowerCase();
  let key = "";
  for (const character of path.normalize("NFD")) key += folded.get(character) ?? character;
  return key.normalize("NFC");
}

function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- every ASCII character is meant.
  return /^[\x00-\x7f]*$/.test(text);
}

function decodeSimple(text: string): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  let start = 0;
  for (const run of text.split(" ")) {
    const [gap = "", more = "", distance = ""] = run.split(",");
    const step = more.endsWith("+") ? 2 : 1;
    start += Number.parseInt(gap, 36);
    for (let index = 0; index <= Number.parseInt(more, 36); index++) {
      const from = start + index * step;
      pairs.push([String.fromCodePoint(from), String.fromCodePoint(from + Number.parseInt(distance, 36))]);
    }
  }
  return pairs;
}

function decodeFull(text: string): (readonly [string, string])[] {
  return text.split(" ").map((line) => {
    const [from = 0, ...to] = line.split(",").map((digits) => Number.parseInt(digits, 36));
    return [String.fromCodePoint(from), String.fromCodePoint(...to)];
  });
}
